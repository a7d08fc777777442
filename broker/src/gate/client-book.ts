/**
 * Two holes in aedes' book of clients, closed from outside: a client that goes away between its authentication and its
 * registration is registered all the same, and takes another one with the same id out of the book when it closes.
 */
import type { Aedes, Client } from "aedes";

interface ClientBook {
  clients: Record<string, Client | undefined>;
  registerClient(client: Client): void;
  unregisterClient(client: Client): void;
}

export function guardClientBook(aedes: Aedes): void {
  const book = aedes as unknown as ClientBook;
  const { registerClient, unregisterClient } = book;
  book.registerClient = (client) => {
    if (!(client as Client & { closed: boolean }).closed) registerClient.call(book, client);
  };
  book.unregisterClient = (client) => {
    if (book.clients[client.id] === client) unregisterClient.call(book, client);
  };
}
