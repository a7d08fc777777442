/** Contract: what `equipoise-broker NAME …` or `equipoise-agent NAME …` does and then ends, instead of running the service. */
import { parseArgs } from "node:util";
import { EquipoiseError, reasonOf } from "../errors.ts";

export interface Command {
  /** The whole text of `--help`. */
  readonly help: string;
  /** @throws EquipoiseError */
  run(args: readonly string[], env: Environment): Promise<void>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

type Options = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>["options"]>;

/** @throws EquipoiseError EQ_USAGE */
export function readArgs<const O extends Options>(args: readonly string[], options: O) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new EquipoiseError("EQ_USAGE", reasonOf(error).split(". ")[0] ?? "bad flags", { cause: error });
  }
}

export function usage(detail: string): EquipoiseError {
  return new EquipoiseError("EQ_USAGE", detail);
}
