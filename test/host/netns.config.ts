import { defineConfig } from "vitest/config";

/** For `network-namespace.test.ts`: one process after the other, since they share one network. */
export default defineConfig({
  test: {
    include: ["test/host/*.netns.ts"],
    testTimeout: 30_000,
    pool: "forks",
    fileParallelism: false,
    execArgv: ["--expose-gc"],
  },
});
