const { existsSync } = require('node:fs');
const { join } = require('node:path');

const common = {
  testEnvironment: 'node',
  transform: { '\\.ts$': '<rootDir>/scripts/jest-transform.cjs' },
  moduleFileExtensions: ['ts', 'js', 'cjs', 'json', 'node'],
  extensionsToTreatAsEsm: [],
};
module.exports = {
  globalSetup: '<rootDir>/scripts/jest-setup.cjs',
  projects: [
    {
      ...common,
      displayName: 'unit',
      roots: ['abi', 'lib', 'native-addon', 'platforms', 'sentry', 'gofer', 'runsc', 'shim', 'netstack', 'proto']
        .filter((d) => existsSync(join(__dirname, d)))
        .map((d) => `<rootDir>/${d}`),
      testMatch: ['**/*.test.ts'],
    },
    { ...common, displayName: 'integration', roots: ['<rootDir>/integration'], testMatch: ['**/*.test.ts'] },
  ],
};
