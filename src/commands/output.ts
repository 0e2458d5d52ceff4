/** The answer of a command. */
export const print = (text: string) => process.stdout.write(text);

/** What a person should know beside it. */
export const say = (line: string) => process.stderr.write(`${line}\n`);
