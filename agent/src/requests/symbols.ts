/** `config`: adds symbols to a venue's live source and removes them, now and after every later start. */
import { limits } from "@equipoise/shared";
import * as z from "zod";
import { type Method, readBody, single } from "./method.ts";

/** Contract: the live sources, which remember what was changed. */
export interface LiveSources {
  /**
   * @returns the specifications of all sources as they are now
   * @throws EquipoiseError EQ_CONFIG_BAD_VALUE when the venue or a symbol cannot be, EQ_DATA_DIR_UNUSABLE when the
   * change cannot be remembered; then nothing is changed
   */
  change(change: SymbolChange): Promise<string[]>;
}

export interface SymbolChange {
  venue: string;
  add: string[];
  remove: string[];
}

const symbols = z.array(z.string().min(1).max(limits.maxIdLength)).max(200).default([]);
const changeBody = z
  .object({ venue: z.string().min(1), add: symbols, remove: symbols })
  .refine(({ add, remove }) => add.length + remove.length > 0, "needs symbols in add or remove");

export function config(sources: LiveSources): Method {
  return single(async (body) => ({
    fields: { sources: await sources.change(readBody(changeBody, body)) },
  }));
}
