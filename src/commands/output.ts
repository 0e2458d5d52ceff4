/** The answer of a command, which ends by `endProcess` so that a slow reader gets all of it. */
export const print = (text: string) => process.stdout.write(text);

/** What a person should know beside it. */
export const say = (line: string) => process.stderr.write(`${line}\n`);
