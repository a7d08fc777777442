export { type CommandLine, type Program, readCommandLine } from "./command-line.ts";
export { wording } from "./issue.ts";
export { flatten, type Loaded, loadConfig } from "./load.ts";
export {
  byteCount,
  bytes,
  type Config,
  choice,
  flag,
  integer,
  type Setting,
  type Settings,
  structure,
  text,
  texts,
} from "./setting.ts";
