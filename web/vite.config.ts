// The build makes few files with hashed names, no inline script or style, and addresses relative
// to the page: so the page works below any path of a proxy and under "default-src 'self'".

import { defineConfig } from "vite";
import { mockApi } from "./mock/server.ts";

export default defineConfig(({ command, mode }) => ({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
    emptyOutDir: true,
  },
  // Only while one works on the pages: LONGHAUL_API names a real server, else made-up answers.
  plugins: command === "serve" && mode !== "test" && !process.env.LONGHAUL_API ? [mockApi()] : [],
  server: process.env.LONGHAUL_API
    ? { proxy: { "/v1": process.env.LONGHAUL_API } }
    : {},
  // The machine that runs it may be busy with everything else.
  test: { include: ["test/**/*.test.ts"], environment: "node", testTimeout: 30_000 },
}));
