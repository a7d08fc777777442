#!/usr/bin/env node
import { requireNode } from "@equipoise/shared/launcher";

requireNode("equipoise-consume");
const { main } = await import("../src/client/main.ts");
await main(process.argv.slice(2), process.env);
