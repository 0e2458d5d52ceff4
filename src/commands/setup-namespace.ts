import type { Command } from 'commander';
import { temporalEnvironment } from '../runtime/environment.ts';
import { RunnerError } from '../runtime/errors.ts';
import {
  type AttributeName,
  ensureSearchAttributes,
  searchAttributes,
  untilSearchable,
} from '../runtime/search-attributes.ts';
import { refusalOf } from '../runtime/temporal-refusal.ts';
import { print } from './output.ts';
import { connect } from './temporal-client.ts';

/** `siglip2 setup-namespace`: makes the search attributes that a namespace lacks, and says which there were. */
export function addSetupNamespaceCommand(program: Command): void {
  program
    .command('setup-namespace')
    .description('make the search attributes that runs report by, in TEMPORAL_NAMESPACE; says which there were')
    .action(async () => {
      const environment = temporalEnvironment();
      const { address, namespace } = environment;
      const client = await connect({ quiet: true });
      if (!client)
        throw new RunnerError(
          'SetupMissing',
          `Temporal does not answer at ${address}; start it, or set TEMPORAL_ADDRESS to where it listens`,
        );
      try {
        const { connection } = client;
        const made = await ensureSearchAttributes(connection, { namespace, address });
        print(formatAttributes(namespace, made));
        if (made.length > 0 && !(await untilSearchable(connection, namespace)))
          print('The server does not know them in queries yet; it may take a minute.\n');
      } catch (error) {
        throw refusalOf(error, environment) ?? error;
      } finally {
        await client.connection.close();
      }
    });
}

function formatAttributes(namespace: string, made: readonly AttributeName[]): string {
  const lines = Object.entries(searchAttributes).map(
    ([name, { type }]) =>
      `  ${name.padEnd(12)} ${type.padEnd(8)} ${made.includes(name as AttributeName) ? 'made' : 'was there'}`,
  );
  return `Search attributes of namespace ${namespace}:\n${lines.join('\n')}\n`;
}
