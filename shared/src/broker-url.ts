/** Broker addresses as users write them. */
const schemes = ["mqtt:", "mqtts:", "ws:", "wss:"];

/** What is wrong with a broker's URL, or `undefined`. */
export function brokerUrlFault(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !schemes.includes(url.protocol) || url.hostname === "") {
    return "must be a URL such as mqtt://127.0.0.1:1883 (mqtt, mqtts, ws or wss)";
  }
  if (url.password !== "" && url.username === "") return "has a password without a user name";
  return undefined;
}

/** What is wrong with the credentials for these brokers, or `undefined`. A URL's own come first. */
export function credentialsFault(
  urls: readonly string[],
  username: string | undefined,
  password: string | undefined,
): string | undefined {
  if (password === undefined || username !== undefined) return undefined;
  if (urls.every((url) => new URL(url).username !== "")) return undefined;
  return "there is a password without a user name, which MQTT does not allow"; // [MQTT-3.1.2-22]
}

/** The same value, with `***` for passwords in URLs. */
export function withoutPasswords(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPasswords);
  if (typeof value !== "string") return value;
  return value.replace(/([a-z][a-z0-9+.-]*:\/\/[^/?#\s]*?):[^/?#\s]*@/gi, "$1:***@");
}

/** The URL without user name and password, for messages. */
export function withoutCredentials(text: string): string {
  const url = new URL(text);
  url.username = "";
  url.password = "";
  return url.href.replace(/\/$/, "");
}
