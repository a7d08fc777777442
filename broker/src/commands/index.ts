/** The commands by name; each is loaded only when it is asked for. */
import type { Commands } from "@equipoise/shared";

export const commands: Commands = {
  users: async () => (await import("./users.ts")).users,
  pools: async () => (await import("./pools.ts")).pools,
  balancing: async () => (await import("./balancing.ts")).balancing,
  dead: async () => (await import("./dead.ts")).dead,
  certs: async () => (await import("./certs.ts")).certs,
};
