/** Who looks at a variable: our own processes, or a library or tool that they use. */
type Reader =
  | 'commands'
  | 'worker'
  | 'trainer'
  | 'npm run up'
  | 'set-up'
  | 'tests'
  | 'Temporal'
  | 'AWS SDK'
  | 'TensorFlow';

export interface Variable {
  readonly meaning: string;
  /** What holds when it is not set, in words. */
  readonly unset: string;
  readonly readBy: readonly Reader[];
}

/**
 * Every environment variable that means something to this project, in the order in which `infra/README.md` lists them.
 * Code reads them by `variable`, so that none is missing here; those that only a library reads are here to be found.
 */
export const variables = {
  TEMPORAL_ADDRESS: {
    meaning: 'Address of Temporal, `HOST:PORT`.',
    unset: 'that of a running `npm run up`, else `127.0.0.1:7233`',
    readBy: ['commands', 'worker', 'npm run up'],
  },
  TEMPORAL_NAMESPACE: { meaning: 'Namespace of the runs.', unset: '`default`', readBy: ['Temporal'] },
  TEMPORAL_API_KEY: {
    meaning: 'API key, as for Temporal Cloud. It turns TLS on.',
    unset: 'none',
    readBy: ['Temporal'],
  },
  'TEMPORAL_TLS_*': {
    meaning: 'Certificates and server name, by the names that the Temporal CLI reads.',
    unset: 'no TLS, unless there is an API key',
    readBy: ['Temporal'],
  },
  TEMPORAL_TLS_DISABLE_HOST_VERIFICATION: {
    meaning: 'Refused: this SDK can not do without. `TEMPORAL_TLS_SERVER_CA_CERT_PATH` names the authority to trust.',
    unset: 'as it should be',
    readBy: ['commands', 'worker'],
  },
  'TEMPORAL_GRPC_META_*': {
    meaning: 'Headers that go with each call, as a gateway before Temporal may want them.',
    unset: 'none',
    readBy: ['Temporal'],
  },
  TEMPORAL_PROFILE: {
    meaning: "Profile of Temporal's configuration file.",
    unset: '`default`',
    readBy: ['Temporal'],
  },
  TEMPORAL_CONFIG_FILE: {
    meaning: "Temporal's configuration file.",
    unset: "the Temporal CLI's own",
    readBy: ['Temporal'],
  },
  TEMPORAL_DISABLE_CONFIG_FILE: {
    meaning: 'Set by `npm run up` for the server that it starts, which goes by no configuration file.',
    unset: 'the file is read',
    readBy: ['Temporal'],
  },
  AWS_ENDPOINT_URL: {
    meaning: 'Address of an S3-compatible server.',
    unset: 'that of a running `npm run up`, or AWS where `SIGLIP2_BUCKET` is set',
    readBy: ['commands', 'worker', 'trainer', 'npm run up'],
  },
  AWS_ENDPOINT_URL_S3: {
    meaning: 'The same for S3 alone; it wins.',
    unset: '`AWS_ENDPOINT_URL`',
    readBy: ['commands', 'worker', 'trainer', 'npm run up'],
  },
  AWS_REGION: {
    meaning: 'Region of the bucket.',
    unset: '`AWS_DEFAULT_REGION`',
    readBy: ['commands', 'worker', 'trainer'],
  },
  AWS_DEFAULT_REGION: {
    meaning: 'Region of the bucket.',
    unset: '`us-east-1`',
    readBy: ['commands', 'worker', 'trainer'],
  },
  AWS_ACCESS_KEY_ID: {
    meaning: 'Credentials of the store.',
    unset: 'those of a running `npm run up`, else what the AWS SDK finds: profile, container, instance',
    readBy: ['commands', 'worker', 'trainer'],
  },
  AWS_SECRET_ACCESS_KEY: { meaning: 'The same.', unset: 'the same', readBy: ['commands', 'worker', 'trainer'] },
  AWS_SESSION_TOKEN: { meaning: 'The same.', unset: 'the same', readBy: ['commands', 'worker', 'trainer'] },
  AWS_PROFILE: { meaning: 'Profile of the AWS configuration files.', unset: '`default`', readBy: ['AWS SDK'] },
  AWS_REQUEST_CHECKSUM_CALCULATION: {
    meaning:
      '`when_required` sends no checksums with what is written, for a store that refuses them; bodies are signed.',
    unset: '`when_supported`: a CRC32 with each body',
    readBy: ['AWS SDK'],
  },
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: {
    meaning: 'Silences what the AWS SDK says of older versions of Node.',
    unset: '`true`',
    readBy: ['AWS SDK'],
  },
  SIGLIP2_BUCKET: {
    meaning: 'Name of the bucket. Without an endpoint it is a bucket of AWS.',
    unset: '`siglip2`',
    readBy: ['commands', 'worker', 'trainer', 'npm run up'],
  },
  SIGLIP2_PAYLOAD_KEY: {
    meaning: 'Key of 32 bytes in base64. What Temporal keeps of a run is encrypted with it (`workflows/README.md`).',
    unset: 'no encryption',
    readBy: ['commands', 'worker'],
  },
  SIGLIP2_DEVICE: {
    meaning: '`cpu` trains on the CPU even where there is a GPU; `gpu` refuses to train without one.',
    unset: 'the GPU where an NVIDIA driver is loaded, else the CPU',
    readBy: ['worker', 'trainer', 'set-up'],
  },
  CUDA_VISIBLE_DEVICES: {
    meaning: 'GPUs that may be used. A worker takes the first; with `--devices all` each of them.',
    unset: 'GPU 0',
    readBy: ['worker', 'TensorFlow'],
  },
  SIGLIP2_GRACE: {
    meaning: 'Seconds that a worker has after SIGTERM to finish with a checkpoint.',
    unset: '50',
    readBy: ['worker'],
  },
  SIGLIP2_METRICS: {
    meaning: 'Port on 127.0.0.1, or `ADDRESS:PORT`, where a worker shows its figures to Prometheus.',
    unset: 'nowhere',
    readBy: ['worker'],
  },
  SIGLIP2_PRICE: {
    meaning: 'What an hour of a device costs, a number: what a run costs is then counted (`src/costs/README.md`).',
    unset: 'that of `SIGLIP2_PRICES`, else hours alone are counted',
    readBy: ['commands', 'worker'],
  },
  SIGLIP2_PRICE_EGRESS: {
    meaning: 'What it costs to read a GB from the store.',
    unset: 'that of `SIGLIP2_PRICES`, else nothing is counted',
    readBy: ['commands', 'worker'],
  },
  SIGLIP2_PRICE_REQUESTS: {
    meaning: 'What 1,000 requests that write or list cost, and 1,000 that read: `0.005,0.0004`.',
    unset: 'those of `SIGLIP2_PRICES`, else nothing is counted',
    readBy: ['commands', 'worker'],
  },
  SIGLIP2_PRICE_STORAGE: {
    meaning: 'What it costs to keep a GB for a month.',
    unset: 'that of `SIGLIP2_PRICES`, else it is not said',
    readBy: ['commands', 'worker'],
  },
  SIGLIP2_PRICE_CURRENCY: {
    meaning: 'What the money is called, such as `USD`; 8 letters at most.',
    unset: 'that of `SIGLIP2_PRICES`, else it has no name',
    readBy: ['commands', 'worker'],
  },
  SIGLIP2_PRICES: {
    meaning: 'A JSON file of all these prices, with that of an hour by the name of the device.',
    unset: 'none',
    readBy: ['commands', 'worker'],
  },
  SIGLIP2_LOG: {
    meaning: 'Level of the log: `debug`, `info`, `warn` or `error`.',
    unset: '`info`',
    readBy: ['worker'],
  },
  SIGLIP2_DEBUG: {
    meaning: 'Any value: errors of commands come with their stack.',
    unset: 'one sentence',
    readBy: ['commands'],
  },
  NO_COLOR: {
    meaning: 'Any value: `siglip2 logs` prints no colours.',
    unset: 'colours on a terminal',
    readBy: ['commands'],
  },
  SIGLIP2_CACHE: {
    meaning: 'Folder for what set-up downloads and builds, and for compiled steps. It can be deleted at any time.',
    unset: '`$XDG_CACHE_HOME/siglip2-runner`',
    readBy: ['set-up', 'commands', 'worker', 'trainer'],
  },
  SIGLIP2_STATE: {
    meaning: 'Folder for data, credentials and logs of `npm run up`.',
    unset: '`$XDG_STATE_HOME/siglip2-runner`',
    readBy: ['npm run up', 'commands', 'worker', 'trainer'],
  },
  SIGLIP2_SCRATCH: {
    meaning:
      'Folder for snapshots, data shards and large batches while a worker trains: the disk that has to be large and quick.',
    unset: '`scratch` in `SIGLIP2_STATE`',
    readBy: ['worker', 'trainer'],
  },
  SIGLIP2_LOADER_THREADS: {
    meaning: 'Threads of a trainer that decode pictures and make batches. What they make is the same for any number.',
    unset: 'the cores less one, at least one',
    readBy: ['trainer', 'worker'],
  },
  XDG_CACHE_HOME: {
    meaning: 'Where caches lie.',
    unset: '`~/.cache`',
    readBy: ['set-up', 'commands', 'worker', 'trainer'],
  },
  XDG_STATE_HOME: {
    meaning: 'Where state lies.',
    unset: '`~/.local/state`',
    readBy: ['npm run up', 'commands', 'worker', 'trainer'],
  },
  SIGLIP2_IMAGE: {
    meaning:
      'Set in the container images: `light`, `worker-cpu` or `worker-cuda`. Nothing is set up there, and the doctor asks for what belongs in that image.',
    unset: 'no image',
    readBy: ['commands', 'set-up', 'trainer'],
  },
  SIGLIP2_BUILD: {
    meaning: 'Folder of our code as it was compiled for this start. Commands set it for what they start.',
    unset: 'everything runs from its source, and starts later',
    readBy: ['commands', 'worker', 'trainer'],
  },
  SIGLIP2_LIBTENSORFLOW: {
    meaning: 'Folder of a libtensorflow of your own.',
    unset: 'the cache, else the PyPI wheel',
    readBy: ['set-up'],
  },
  SIGLIP2_TEMPORAL: {
    meaning: 'Path of a Temporal CLI of your own.',
    unset: 'the cache, `PATH`, else it is built',
    readBy: ['set-up'],
  },
  SIGLIP2_VERSITYGW: {
    meaning: 'Path of a versitygw of your own.',
    unset: 'the cache, `PATH`, else it is built',
    readBy: ['set-up'],
  },
  SIGLIP2_TEMPORAL_SERVER: {
    meaning:
      'Path of a Temporal server of your own, with `temporal-sql-tool` beside it; `npm run compose` alone uses it.',
    unset: 'the cache, `PATH`, else it is built',
    readBy: ['tests'],
  },
  PATH: { meaning: 'Where programs are looked for.', unset: 'none are found', readBy: ['set-up', 'npm run up'] },
  LD_LIBRARY_PATH: {
    meaning: 'Libraries of the system; set-up adds the CUDA libraries that it fetched.',
    unset: 'those alone',
    readBy: ['set-up', 'TensorFlow'],
  },
  XLA_FLAGS: {
    meaning: 'Flags of XLA; set-up adds where its CUDA compiler lies.',
    unset: 'that alone',
    readBy: ['set-up', 'TensorFlow'],
  },
  TF_XLA_FLAGS: {
    meaning:
      'Flags of XLA in TensorFlow; a trainer adds where its machine code is kept, unless they say so themselves.',
    unset: 'that alone',
    readBy: ['trainer', 'TensorFlow'],
  },
  TF_NUM_INTRAOP_THREADS: {
    meaning: 'With how many threads a phase begins that trains on a CPU. It keeps to them, wherever it goes on.',
    unset: 'the CPUs that the process may run on',
    readBy: ['worker', 'TensorFlow'],
  },
  ONEDNN_MAX_CPU_ISA: {
    meaning: 'The widest instructions that kernels for the CPU may use.',
    unset: 'those that the CPU has',
    readBy: ['worker', 'TensorFlow'],
  },
  MALLOC_ARENA_MAX: {
    meaning: 'Arenas from which glibc gives the threads of a trainer memory. More of them keep more of what was freed.',
    unset: '1',
    readBy: ['trainer', 'TensorFlow'],
  },
  MALLOC_MMAP_THRESHOLD_: {
    meaning:
      'From so many bytes on glibc gives an array back to the machine as soon as it is freed: 8388608 takes less memory where activations are computed again on a CPU, and 3 to 14 % more time.',
    unset: 'grows up to 32 MiB',
    readBy: ['trainer', 'TensorFlow'],
  },
  TF_CPP_MIN_LOG_LEVEL: { meaning: 'What TensorFlow says on stderr.', unset: '3, errors', readBy: ['TensorFlow'] },
  TF_FORCE_GPU_ALLOW_GROWTH: {
    meaning: 'Whether TensorFlow takes memory of a GPU as it needs it.',
    unset: '`true`',
    readBy: ['TensorFlow'],
  },
  TF_DETERMINISTIC_OPS: {
    meaning: 'On a GPU: whether sums have one order, so that every attempt ends in the same bytes. `0` promises none.',
    unset: '`1` where there is a GPU',
    readBy: ['TensorFlow'],
  },
  CXX: { meaning: 'C++ compiler for the addon that joins TensorFlow to Node.', unset: '`c++`', readBy: ['set-up'] },
  GOFLAGS: { meaning: 'Flags for building Temporal and versitygw with Go.', unset: 'none', readBy: ['set-up'] },
  npm_execpath: { meaning: 'Set by npm: its own script, for installing packages.', unset: '`npm`', readBy: ['set-up'] },
  SIGLIP2_TEST_SUMMARY: {
    meaning: 'File that `npm test` writes its last line to.',
    unset: 'none',
    readBy: ['tests'],
  },
} as const satisfies Readonly<Record<string, Variable>>;

export type VariableName = keyof typeof variables;

/** An environment variable as it is set. An empty one is for the reader to judge: for most it is as good as none. */
export function variable(name: VariableName, env: NodeJS.ProcessEnv = process.env): string | undefined {
  return env[name];
}
