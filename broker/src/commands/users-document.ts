/** The users file as it is edited: comments and what people wrote by hand stay where they are. */
import { readFile } from "node:fs/promises";
import { EquipoiseError, reasonOf, systemCode } from "@equipoise/shared";
import { type Document, isMap, isSeq, parseDocument, type YAMLMap, type YAMLSeq } from "yaml";
import { checkUsersFile, type UsersFile } from "../auth/users-file.ts";
import { replaceFile } from "./secret-file.ts";

const opening = `# Users of equipoise-broker. Written by \`equipoise-broker users\`; may be edited by hand.\n`;

export class UsersDocument {
  readonly #path: string;
  readonly #document: Document;

  private constructor(path: string, document: Document) {
    this.#path = path;
    this.#document = document;
  }

  /**
   * Reads the file; one that does not exist yet is empty.
   * @throws EquipoiseError EQ_USERS_INVALID
   */
  static async open(path: string): Promise<UsersDocument> {
    const document = parseDocument(await textOf(path));
    const [fault] = document.errors;
    if (fault !== undefined)
      throw new EquipoiseError("EQ_USERS_INVALID", `${path}: ${fault.message.split("\n")[0]}`);
    if (document.contents === null) document.contents = document.createNode({}) as never;
    const opened = new UsersDocument(path, document);
    opened.content();
    return opened;
  }

  /** @throws EquipoiseError EQ_USERS_INVALID */
  content(): UsersFile {
    return checkUsersFile(this.#path, this.#document.toJS());
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  add(user: { name: string; hash?: string; role?: string }): void {
    if (!isSeq(this.#document.get("users"))) this.#document.set("users", this.#document.createNode([]));
    const list = this.#document.get("users") as YAMLSeq;
    list.flow = false;
    list.add(this.#document.createNode(user));
  }

  setHash(name: string, hash: string): void {
    this.#find(name)?.set("hash", hash);
  }

  remove(name: string): void {
    const list = this.#document.get("users") as YAMLSeq;
    list.items = list.items.filter((item) => item !== this.#find(name));
  }

  /** @throws EquipoiseError EQ_USERS_INVALID when the file cannot be written */
  async save(): Promise<void> {
    this.content();
    try {
      await replaceFile(this.#path, this.#document.toString({ lineWidth: 0 }));
    } catch (error) {
      throw new EquipoiseError("EQ_USERS_INVALID", `${this.#path}: ${reasonOf(error)}`, { cause: error });
    }
  }

  #find(name: string): YAMLMap | undefined {
    const list = this.#document.get("users");
    const found = isSeq(list)
      ? list.items.find((item) => isMap(item) && item.get("name") === name)
      : undefined;
    return found as YAMLMap | undefined;
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return opening;
    throw new EquipoiseError("EQ_USERS_INVALID", `${path}: ${reasonOf(error)}`, { cause: error });
  }
}
