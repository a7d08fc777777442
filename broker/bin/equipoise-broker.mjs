#!/usr/bin/env node
import { requireNode } from "@equipoise/shared/launcher";

requireNode("equipoise-broker");
const { main } = await import("../src/main.ts");
await main(process.argv.slice(2), process.env);
