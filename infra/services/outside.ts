import type { ServicesState } from '../../src/runtime/services-state.ts';

/**
 * Which services the environment names elsewhere, and so are used and not started. What `siglip2 env` of this very
 * folder has put into the shell is not elsewhere.
 */
export function outsideServices(
  env: NodeJS.ProcessEnv,
  before: ServicesState | null,
): { readonly temporal?: string; readonly s3?: string } {
  const temporal = env.TEMPORAL_ADDRESS;
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL;
  const s3 = endpoint || (env.SIGLIP2_BUCKET ? `AWS, bucket ${env.SIGLIP2_BUCKET}` : undefined);
  const ownTemporal = temporal === before?.temporal?.address;
  const ownStore = endpoint ? endpoint === before?.s3?.endpoint : false;
  return {
    ...(temporal && !ownTemporal ? { temporal } : {}),
    ...(s3 && !ownStore ? { s3 } : {}),
  };
}
