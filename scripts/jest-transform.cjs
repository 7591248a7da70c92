// TypeScript for jest, through the bundler that builds the programs.
const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { transformSync, version } = require('esbuild');

const self = readFileSync(__filename);

module.exports = {
  /** jest keeps what was made of a file for as long as this stays the same. */
  getCacheKey(source, filename) {
    return createHash('sha256').update(self).update(version).update(filename).update('\0').update(source).digest('hex');
  },
  process(source, filename) {
    const { code, map } = transformSync(source, {
      loader: 'ts',
      format: 'cjs',
      target: 'node24',
      supported: { 'dynamic-import': false }, // jest has none: becomes require
      sourcefile: filename,
      sourcemap: 'both',
    });
    return { code, map };
  },
};
