import { buildTable, SYSCALLS } from './table.ts';

test('no number is declared twice, every row says where it is described', () => {
  const table = buildTable(SYSCALLS);
  expect(table.filter((row) => row !== undefined)).toHaveLength(Object.keys(SYSCALLS).length);
  for (const row of table) if (row !== undefined) expect(row.man).toMatch(/^\w+\(2\)$/);
});
