import { type Variable, variables } from '../runtime/variables.ts';

/** What programs, their libraries and their clients are steered by, whoever they are. */
const general = [
  /^(HOME|USER|LOGNAME|PATH|TMPDIR|TMP|TEMP|TZ|LANG|LC_\w+|LD_\w+|DYLD_\w+|GLIBC_TUNABLES|UV_THREADPOOL_SIZE)$/,
  /^NODE_(OPTIONS|PATH|EXTRA_CA_CERTS|TLS_REJECT_UNAUTHORIZED|USE_ENV_PROXY)$/,
  /^(SSL_CERT_FILE|SSL_CERT_DIR|https?_proxy|no_proxy|all_proxy)$/i,
  /^(TF|XLA|CUDA|CUDNN|CUBLAS|NVIDIA|NCCL|ONEDNN|DNNL|MKL|OMP|KMP|MALLOC|TCMALLOC|VIPS)_\w+$/,
  // Its loader reads the training data from the store.
  /^AWS_\w+$/,
];

/**
 * glibc gives all threads of a process that trains memory from one arena: of several, each keeps what was freed in it from
 * the others, and a step took up to 1.4 times what it needs.
 */
export const oneArena = { MALLOC_ARENA_MAX: '1' } as const;

/**
 * What a trainer may have of its worker's environment. Keys of Temporal and of payloads are for the worker alone, and
 * what else there is for nobody.
 */
export function trainerVariables(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const own = Object.entries<Variable>(variables).flatMap(([name, { readBy }]) =>
    readBy.includes('trainer') ? [name] : [],
  );
  const needed = (name: string) => own.includes(name) || general.some((pattern) => pattern.test(name));
  return { ...oneArena, ...Object.fromEntries(Object.entries(env).filter(([name]) => needed(name))) };
}
