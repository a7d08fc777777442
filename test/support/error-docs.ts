/** docs/errors.md, made from the table of errors: `npx node test/support/error-docs.ts > docs/errors.md` */
import { errorTable } from "@equipoise/shared";

const opening = `# Errors

Every expected failure of an Equipoise program is one line with a code of this table; a stack trace is a bug. Programs
end with exit code 2 for what was typed or configured (\`EQ_CONFIG_…\`, \`EQ_USAGE\`) and 1 for everything else.
"Retryable" says whether waiting can help; what is retryable is retried by the programs themselves.

This page is made from \`shared/src/errors.ts\`: \`npx node test/support/error-docs.ts > docs/errors.md\`
`;

export function errorsMarkdown(): string {
  const sections = Object.entries(errorTable).map(([code, { cause, remedy, retryable }]) =>
    [
      `## ${code}`,
      "",
      "| | |",
      "|---|---|",
      `| Cause | ${cause} |`,
      `| Remedy | ${remedy} |`,
      `| Retryable | ${retryable ? "yes" : "no"} |`,
      "",
    ].join("\n"),
  );
  return [opening, ...sections].join("\n");
}

if (import.meta.main) process.stdout.write(errorsMarkdown());
