/** Where the engine is: one Redis, or the primary that Sentinels name. */
import type { RedisOptions } from "ioredis";

const sentinels =
  /^redis(?<tls>s?)\+sentinel:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^/@]+)\/(?<name>[^/?#]+)$/;
const host = /^(?<host>\[[\da-fA-F:.]+\]|[^:[\]]+)(?::(?<port>\d{1,5}))?$/;
const sentinelPort = 26_379;

/** The part of the client's options that says where to connect; `undefined` when the text says nothing of the kind. */
export function engineAddress(text: string): RedisOptions | undefined {
  const groups = sentinels.exec(text)?.groups;
  if (groups !== undefined) return sentinelAddress(groups);
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, port, username, password, pathname } = new URL(text);
  if ((protocol !== "redis:" && protocol !== "rediss:") || hostname === "") return undefined;
  const db = pathname.length > 1 ? Number(pathname.slice(1)) : 0;
  const known = credentials(username, password);
  if (!Number.isSafeInteger(db) || known === undefined) return undefined;
  return {
    ...{ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 6_379), db },
    ...known,
    ...(protocol === "rediss:" ? secured({}) : {}),
  };
}

function sentinelAddress({ tls, user, password, hosts = "", name = "" }: Record<string, string | undefined>) {
  const found = hosts.split(",").flatMap((each) => {
    const { groups } = host.exec(each) ?? {};
    return groups === undefined ? [] : [groups];
  });
  const known = credentials(user, password);
  if (found.length < hosts.split(",").length || known === undefined) return undefined;
  return {
    sentinels: found.map((groups) => ({
      host: (groups.host as string).replace(/^\[|\]$/g, ""),
      port: Number(groups.port ?? sentinelPort),
    })),
    name,
    ...known,
    ...(tls === "s" ? secured({}) : {}),
  };
}

/** TLS to the primary, and to Sentinels where they say which it is. */
export function secured(tls: NonNullable<RedisOptions["tls"]>): RedisOptions {
  return { tls, sentinelTLS: tls, enableTLSForSentinelMode: true };
}

function credentials(user = "", password = ""): RedisOptions | undefined {
  try {
    return {
      ...(user === "" ? {} : { username: decodeURIComponent(user) }),
      ...(password === "" ? {} : { password: decodeURIComponent(password) }),
    };
  } catch (error) {
    // A percent sign that is not followed by two digits.
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
