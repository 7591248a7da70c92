// Starts the program beside it from V8's code cache: parsing and compiling a bundle takes longer than running its first lines.
// NAME.cjs is this file; NAME.js the bundle, NAME.cache what write-cache.cjs made of it under the same flags. A cache that does
// not fit (another Node, other flags) is left aside: the bundle is compiled as ever.
//
// While a cache is being trained (train-caches.mjs), the program writes what V8 has compiled of it by the time it calls writeCodeCache, or
// exits: the functions that a start needs are then in the cache as well, and need not be compiled one by one.
const { readFileSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');

const base = __filename.slice(0, -4);
const read = (path, encoding) => {
  try {
    return readFileSync(path, encoding);
  } catch (e) {
    if (e.code === 'ENOENT') return undefined;
    throw e;
  }
};
const source = read(`${base}.js`, 'latin1');
const script = new Script(source, { filename: `${base}.js`, cachedData: read(`${base}.cache`) });
const { TSVISOR_CODE_CACHE_OUT: out } = process.env;
if (out) {
  const target = /^\d+$/.test(out) ? Number(out) : `${out}/${base.slice(base.lastIndexOf('/') + 1)}.cache`;
  globalThis.writeCodeCache = () => {
    globalThis.writeCodeCache = undefined;
    const data = script.createCachedData();
    writeFileSync(target, Buffer.concat([data, Buffer.from(`${data.length}`.padStart(16))]));
  };
  process.on('exit', () => globalThis.writeCodeCache?.());
}
script.runInThisContext()(exports, require, module, __filename, __dirname);
