import { storeEnvironment, temporalEnvironment } from './environment.ts';
import { secretValues } from './secrets.ts';

/** Every credential that this process was given: in variables, in Temporal's configuration file, by `npm run up`. */
export function knownSecrets(env: NodeJS.ProcessEnv = process.env): string[] {
  const { apiKey, metadata = {} } = temporalEnvironment(env).connectionOptions;
  const { credentials } = storeEnvironment(env);
  return [
    ...secretValues(env),
    ...(typeof apiKey === 'string' ? [apiKey] : []),
    // Headers to Temporal: what is said in them is between the two.
    ...Object.values(metadata).map(String),
    ...(credentials ? [credentials.accessKeyId, credentials.secretAccessKey] : []),
  ];
}
