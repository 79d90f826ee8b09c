import { defineConfig } from "vitest/config";

/** Where `.ci/run` wants the results, besides on the screen. */
const results = process.env.TEST_RESULTS;

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    // Guests are compiled there.
    hookTimeout: 60_000,
    // Guests are booted and measured against each other on few cores: one file at a time is steadier.
    fileParallelism: false,
    reporters: results === undefined ? ["default"] : ["default", ["json", { outputFile: results }]],
  },
});
