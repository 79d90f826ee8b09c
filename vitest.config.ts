import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    // Guests are booted and measured against each other on few cores: one file at a time is steadier.
    fileParallelism: false,
  },
});
