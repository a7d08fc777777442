/** Source specifications as users write them: `file:PATH[?venue=V][&loop=true]`, `stdin:`. */
import { isAbsolute } from "node:path";

export type SourceSpec =
  | { kind: "file"; text: string; path: string; venue: string; loop: boolean }
  | { kind: "stdin"; text: string };

/** The specification taken apart, or in words what is wrong with it. */
export function parseSourceSpec(text: string): SourceSpec | { fault: string } {
  const colon = text.indexOf(":");
  const kind = colon === -1 ? text : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  if (colon !== -1 && kind === "file") return parseFile(text, rest);
  if (colon !== -1 && kind === "stdin") {
    return rest === "" ? { kind: "stdin", text } : { fault: "nothing may follow stdin:" };
  }
  const hint = isAbsolute(text) || text.startsWith(".") ? ` (did you mean file:${text} ?)` : "";
  return { fault: `must be file:PATH[?venue=V][&loop=true] or stdin:${hint}` };
}

function parseFile(text: string, rest: string): SourceSpec | { fault: string } {
  const mark = rest.lastIndexOf("?");
  const path = mark === -1 ? rest : rest.slice(0, mark);
  const options = new URLSearchParams(mark === -1 ? "" : rest.slice(mark + 1));
  if (path === "") return { fault: "names no path: file:PATH" };
  for (const name of options.keys()) {
    if (name !== "venue" && name !== "loop") {
      return { fault: `has the unknown option ${JSON.stringify(name)}; known are venue and loop` };
    }
  }
  const venue = options.get("venue") ?? "binance";
  const loop = options.get("loop") ?? "false";
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(venue))
    return { fault: `has the venue ${JSON.stringify(venue)}; use lower case` };
  if (loop !== "true" && loop !== "false") return { fault: `has loop=${loop}; use true or false` };
  return { kind: "file", text, path, venue, loop: loop === "true" };
}
