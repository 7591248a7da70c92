// What tests import and git does not hold: the addon and the generated messages. Both scripts do nothing if they are up to date.
const { execFileSync } = require('node:child_process');
const { join } = require('node:path');

module.exports = () => {
  for (const script of ['build-native.sh', 'build-proto.sh']) execFileSync('bash', [join(__dirname, script)], { stdio: 'inherit' });
};
