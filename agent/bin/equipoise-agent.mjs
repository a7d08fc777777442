#!/usr/bin/env node
import { launch } from "../../shared/bin/launcher.mjs";

/** What each of these is worth is in docs/benchmarks.md, "The agent's memory". */
const memory = {
  flags: ["--max-semi-space-size=4", "--max-old-space-size=256"],
  variables: { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "131072" },
};
await launch({ command: "equipoise-agent", bin: import.meta.url, name: "agent" }, memory);
