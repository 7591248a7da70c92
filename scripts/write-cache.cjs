// node FLAGS write-cache.cjs BUNDLE CACHE: writes V8's code cache of a bundle.
const { readFileSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');

const [, , bundle, cache] = process.argv;

const script = new Script(readFileSync(bundle, 'latin1'), { filename: bundle });

writeFileSync(cache, script.createCachedData());
