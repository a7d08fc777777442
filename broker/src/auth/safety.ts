import { EquipoiseError, isLoopback } from "@equipoise/shared";
import type { BrokerConfig } from "../config.ts";
import { isTls } from "../listener/index.ts";

/**
 * Refuses a configuration in which strangers could come in without anybody having said so.
 * @throws EquipoiseError EQ_ANONYMOUS_REFUSED, EQ_CONFIG_BAD_VALUE
 */
export function requireSafety({ listen, allowAnonymous, usersFile, tls }: BrokerConfig): void {
  if (tls.requireClientCert && tls.caFile === undefined)
    throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", "tls.requireClientCert needs tls.caFile");
  if (allowAnonymous || usersFile !== undefined) return;
  const open = listen.find((url) => !isLoopback(url) && !(isTls(url) && tls.requireClientCert));
  if (open !== undefined) throw new EquipoiseError("EQ_ANONYMOUS_REFUSED", open);
}
