// Starts the program beside it from V8's code cache: parsing and compiling a bundle takes longer than running its first lines.
// NAME.cjs is this file; NAME.js the bundle, NAME.cache what write-cache.cjs made of it under the same flags. A cache that does
// not fit (another Node, other flags) is left aside: the bundle is compiled as ever.
const { readFileSync } = require('node:fs');
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
script.runInThisContext()(exports, require, module, __filename, __dirname);
