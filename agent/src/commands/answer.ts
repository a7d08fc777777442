import { type Command, ControlClient, controlHelp, controlOptions, readArgs, usage } from "@equipoise/shared";

/** What one question to the running agent is called, and how its answer is shown. */
export interface AnswerOptions<T> {
  name: string;
  summary: string;
  /** On the control socket. */
  path: string;
  /** Whole lines for people. */
  describe: (answer: T) => string;
}

/** A command that asks the running agent one thing and shows the answer, or prints it as JSON. */
export function answerCommand<T>({ name, summary, path, describe }: AnswerOptions<T>): Command {
  return {
    help: `equipoise-agent ${name}: ${summary}\n\nUsage: equipoise-agent ${name} [OPTION …]\n\n${controlHelp("agent")}\n`,
    async run(args, env) {
      const { values, positionals } = readArgs(args, controlOptions);
      if (positionals.length > 0) throw usage(`${name} takes no ${positionals.join(" ")}`);
      const answer = await new ControlClient("agent", values, env).ask<T>("GET", path);
      process.stdout.write(values.json ? `${JSON.stringify(answer)}\n` : describe(answer));
    },
  };
}
