// TypeScript for jest, through the bundler that builds the programs.
const { transformSync } = require('esbuild');

module.exports = {
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
