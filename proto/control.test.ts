import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { CONTROL, CreateRequest } from './control.ts';

const parsed = protobuf.parse(readFileSync(join(__dirname, 'control.proto'), 'utf8'), { keepCase: true }).root;

interface Declared {
  proto: string;
  repeated: boolean;
  fields: Record<string, readonly [number, Declared]>;
}

/** name → "number type" for every field of a message and those within. */
function check(declared: Declared): void {
  const type = parsed.lookupType(declared.proto);
  const fromProto = type.fieldsArray.map((f) => `${f.name} ${f.id} ${f.repeated ? 'repeated ' : ''}${f.type}`).sort();
  const rows = Object.entries(declared.fields);
  expect(rows.map(([name, [id, kind]]) => `${name} ${id} ${kind.repeated ? 'repeated ' : ''}${kind.proto}`).sort()).toEqual(fromProto);
  for (const [, [, kind]] of rows) if (kind.fields !== undefined) check(kind);
}

test('the tables say what control.proto says', () => {
  const service = parsed.lookupService('tsvisor.control.v1.Control');
  expect(Object.keys(CONTROL).sort()).toEqual(service.methodsArray.map((m) => m.name).sort());
  for (const method of service.methodsArray) {
    const { request, response } = CONTROL[method.name as keyof typeof CONTROL];
    expect([request.proto, response.proto]).toEqual([method.requestType, method.responseType]);
    check(request as unknown as Declared);
    check(response as unknown as Declared);
  }
});

test('a message survives encoding, and protobufjs reads it', () => {
  const mounts = [
    {
      destination: '/',
      type: 'gofer',
      source: 'none',
      options: ['ro', ''],
      attach: '0',
      file: false,
      shared: true,
      overlay: false,
      store: '',
      overlay_size: 0,
      uid_mappings: [{ from: 0, to: 65_536, count: 4_294_901_760 }],
      gid_mappings: [],
    },
  ];
  const encoded = CreateRequest.encode({ container_id: 'a', spec: Buffer.from('{}'), mounts, extra_fds: [1, 300], gofer_fd: 2 ** 40 });
  const decoded = CreateRequest.decode(encoded);
  expect(decoded).toMatchObject({ container_id: 'a', mounts, extra_fds: [1, 300], gofer_fd: 2 ** 40, terminal: false });
  expect(parsed.lookupType('CreateRequest').toObject(parsed.lookupType('CreateRequest').decode(encoded), { longs: Number })).toMatchObject({
    container_id: 'a',
    mounts: [{ destination: '/', options: ['ro', ''], shared: true }],
    gofer_fd: 2 ** 40,
  });
});
