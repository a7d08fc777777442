/** The commands by name; each is loaded only when it is asked for. */
import type { Commands } from "@equipoise/shared";

export const commands: Commands = {
  pools: {
    summary: "the running broker's pools: show, explain, tune, delete",
    load: async () => (await import("./pools.ts")).pools,
  },
  dead: {
    summary: "dead letters of a pool: list, replay, purge",
    load: async () => (await import("./dead.ts")).dead,
  },
  balancing: {
    summary: "balancing rules as Protobuf: show, apply",
    load: async () => (await import("./balancing.ts")).balancing,
  },
  users: {
    summary: "the users file: add, passwd, remove, list",
    load: async () => (await import("./users.ts")).users,
  },
  certs: {
    summary: "a certificate authority and certificates of it: ca, server, device",
    load: async () => (await import("./certs.ts")).certs,
  },
};
