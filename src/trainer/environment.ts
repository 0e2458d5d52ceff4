/**
 * What a trainer may have of its worker's environment: what programs are found and speak by, what TensorFlow, its device
 * and the allocator are steered by, what the store of the training data is reached by (its loader reads shards, so AWS's
 * own variables are among them), and those of ours that it reads. Keys of Temporal and of payloads are for the worker alone.
 */
const needed = [
  /^(PATH|HOME|USER|LOGNAME|TMPDIR|TMP|TEMP|TZ|LANG|LC_\w+|LD_\w+|DYLD_\w+|GLIBC_TUNABLES)$/,
  /^NODE_(OPTIONS|PATH|EXTRA_CA_CERTS|TLS_REJECT_UNAUTHORIZED|USE_ENV_PROXY)$/,
  /^(SSL_CERT_FILE|SSL_CERT_DIR|UV_THREADPOOL_SIZE|XDG_CACHE_HOME|XDG_STATE_HOME)$/,
  /^(https?_proxy|no_proxy|all_proxy)$/i,
  /^(TF|XLA|CUDA|CUDNN|CUBLAS|NVIDIA|NCCL|ONEDNN|DNNL|MKL|OMP|KMP|MALLOC|TCMALLOC|VIPS)_\w+$/,
  /^AWS_\w+$/,
  /^SIGLIP2_(BUCKET|CACHE|DEBUG|DEVICE|LIBTENSORFLOW|LOG|SCRATCH|STATE)$/,
];

export function trainerVariables(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => needed.some((pattern) => pattern.test(name))));
}
