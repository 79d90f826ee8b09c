// Prints `N passed, N failed, N skipped` from vitest's results in JSON, with the names of what failed
// before. What is skipped wants a KVM, and the host's kernel has none: see test/support/requirements.ts.
import { readFileSync } from "node:fs";

const text = readFileSync(process.argv[2], "utf8");
// Without results the tests did not run: the build or a check before them failed.
const results =
  text === "" ? { testResults: [], numPassedTests: 0, numPendingTests: 0 } : JSON.parse(text);
const failures = [];
for (const { name, status, message, assertionResults } of results.testResults) {
  const failed = assertionResults.filter((test) => test.status === "failed");
  for (const { fullName } of failed) failures.push(`${name}: ${fullName}`);
  // A file that does not load has no tests to fail.
  if (status === "failed" && failed.length === 0) failures.push(`${name}: ${message}`);
}
if (text === "") failures.push("the tests did not run");
for (const failure of failures) console.log(`FAILED ${failure}`);
const skipped = results.numPendingTests;
console.log(`${results.numPassedTests} passed, ${failures.length} failed, ${skipped} skipped`);
