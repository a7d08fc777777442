/** Broker addresses as users write them. */
const schemes = ["mqtt:", "mqtts:", "ws:", "wss:"];

/** What is wrong with a broker's URL, or `undefined`. */
export function brokerUrlFault(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !schemes.includes(url.protocol) || url.hostname === "") {
    return "must be a URL such as mqtt://127.0.0.1:1883 (mqtt, mqtts, ws or wss)";
  }
  return undefined;
}

/** The URL without user name and password, for messages. */
export function withoutCredentials(text: string): string {
  const url = new URL(text);
  url.username = "";
  url.password = "";
  return url.href.replace(/\/$/, "");
}
