/** One file of balancing rules. */
import { createReadStream } from "node:fs";
import { buffer } from "node:stream/consumers";
import { EquipoiseError, limits, reasonOf } from "@equipoise/shared";
import { type BalancingFormat, type BalancingRules, decodeBalancing } from "@equipoise/shared/balancing";

/**
 * Reads a file of balancing rules.
 * @param format as its first byte tells when it is not given
 * @throws EquipoiseError EQ_CONFIG_BALANCING with the path
 */
export async function readRules(path: string, format?: BalancingFormat): Promise<BalancingRules> {
  try {
    // One byte more than is allowed tells that there is too much.
    const content = await buffer(createReadStream(path, { end: limits.maxBalancingBytes }));
    return decodeBalancing(content, format);
  } catch (error) {
    throw new EquipoiseError("EQ_CONFIG_BALANCING", `${path}: ${reasonOf(error)}`, { cause: error });
  }
}
