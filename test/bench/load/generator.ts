/** The generator's process: takes one load, answers with its result, ends. */
import { drain, fill } from "./backlog.ts";
import { flood } from "./flood.ts";
import type { Load, Result } from "./load.ts";
import { paced } from "./paced.ts";

function run(load: Load): Promise<Result> {
  switch (load.kind) {
    case "flood":
      return flood(load);
    case "paced":
      return paced(load);
    case "fill":
      return fill(load);
    case "drain":
      return drain(load);
  }
}

process.on("disconnect", () => process.exit(1));
process.once("message", (load: Load) => {
  run(load).then((result) => process.send?.(result, () => process.exit(0)));
});
