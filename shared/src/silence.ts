/**
 * When a client takes a silent broker for dead: early enough to be connected to another one within 1.5 times its
 * keepalive [MQTT-3.1.2-24], pause before the attempt included. mqtt.js measures silence in steps of half a keepalive,
 * asks with a ping after two and gives up after three; here the steps are shorter.
 */
import type { IClientOptions } from "mqtt";

/** Of the step of mqtt.js: a ping after 0.8, an end after 1.2 times the keepalive. */
const share = 0.8;

/** What tells mqtt.js when to ping and when to give up, for its option `timerVariant`. */
export const silenceTimer: Exclude<IClientOptions["timerVariant"], string | undefined> = {
  set: (callback, stepMs = 0) => Number(setInterval(() => callback(), stepMs * share)),
  clear: (timer) => clearInterval(timer),
};
