// sum-results.mjs FOLDER [FAILED STEP…]: adds up jest's reports and the steps that failed; the last line is the sum.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, ...steps] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;
for (const name of readdirSync(folder)) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  passed += report.numPassedTests;
  // A suite that could not even load counts as one failure.
  failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
  skipped += report.numPendingTests;
  for (const suite of report.testResults)
    for (const test of suite.assertionResults) if (test.status === 'failed') console.log(`FAILED ${test.fullName}`);
}
const reported = new Set(readdirSync(folder).map((name) => name.replace('.json', '')));
for (const step of steps) {
  if (reported.has(step)) continue; // its tests are counted
  console.log(`FAILED step ${step}`);
  failed++;
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exit(failed > 0 ? 1 : 0);
