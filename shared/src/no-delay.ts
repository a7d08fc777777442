import { Socket } from "node:net";

/**
 * Sends small packets at once. With Nagle's algorithm an acknowledgement waits for the answer to the one before it,
 * up to 40 ms: measured, a member of 3 ms did 185 messages a second instead of 280.
 * @param stream a connection's stream; anything but a TCP or TLS socket is left alone
 */
export function sendAtOnce(stream: unknown): void {
  if (stream instanceof Socket) stream.setNoDelay(true);
}
