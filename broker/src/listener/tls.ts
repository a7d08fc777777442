import { createServer, type Server, type TLSSocket } from "node:tls";
import { reasonOf } from "@equipoise/shared";
import { readCertificates, type TlsFiles } from "./certificates.ts";
import type { Passage, Passenger } from "./tcp.ts";

export interface TlsSettings extends TlsFiles {
  /** Refuses clients without a certificate of one of the authorities. */
  requireClientCert: boolean;
}

/** `mqtts://`: TLS on a socket that was accepted; the certificate that a client shows names it. */
export class TlsPassage implements Passage {
  readonly #settings: TlsSettings;
  readonly #handshakes = new Map<string, Passenger>();
  #server: Server | undefined;

  constructor(settings: TlsSettings) {
    this.#settings = settings;
  }

  /** @throws EquipoiseError EQ_TLS_UNUSABLE; what was read before stays in force */
  async reload(): Promise<void> {
    const context = readCertificates(this.#settings);
    if (this.#server !== undefined) return this.#server.setSecureContext(context);
    // Refused here, not by Node, so that the log says why.
    const requestCert = this.#settings.caFile !== undefined;
    this.#server = createServer({ ...context, requestCert, rejectUnauthorized: false });
    this.#server.on("secureConnection", (socket) => this.#onSecure(socket));
    this.#server.on("tlsClientError", (error, socket) => {
      this.#take(socket)?.failed(`TLS: ${shortReason(error)}`);
    });
  }

  enter(passenger: Passenger): void {
    if (this.#server === undefined) throw new Error("the certificates have not been read");
    const { socket, address } = passenger;
    this.#handshakes.set(address, passenger);
    socket.once("close", () => {
      if (this.#handshakes.get(address) === passenger) this.#handshakes.delete(address);
    });
    this.#server.emit("connection", socket);
  }

  #onSecure(socket: TLSSocket): void {
    const passenger = this.#take(socket);
    if (passenger === undefined) {
      socket.destroy();
      return;
    }
    socket.on("error", (error) => passenger.failed(reasonOf(error)));
    const { name, fault } = this.#nameOf(socket);
    if (fault !== undefined) passenger.failed(fault);
    else passenger.arrived({ wire: socket, certifiedName: name });
  }

  /** The server gives its own socket, which has the addresses of the one that came in. */
  #take(socket: TLSSocket): Passenger | undefined {
    const address = `${socket.remoteAddress}:${socket.remotePort}`;
    const passenger = this.#handshakes.get(address);
    this.#handshakes.delete(address);
    return passenger;
  }

  #nameOf(socket: TLSSocket): { name?: string; fault?: string } {
    const { caFile, requireClientCert } = this.#settings;
    if (caFile === undefined) return {};
    const { subject } = socket.getPeerCertificate();
    if (subject === undefined) return requireClientCert ? { fault: "TLS: no client certificate" } : {};
    if (!socket.authorized) return { fault: `TLS: ${socket.authorizationError}` };
    // A certificate with several common names gives a list.
    const name: unknown = subject.CN;
    return typeof name === "string" && name !== ""
      ? { name }
      : { fault: "TLS: a client certificate without one common name" };
  }
}

/** OpenSSL's own words without its numbers and file names. */
function shortReason(error: Error): string {
  return "reason" in error && typeof error.reason === "string" ? error.reason : reasonOf(error);
}
