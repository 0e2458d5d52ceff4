import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);
const folder = fileURLToPath(new URL('../../../infra/kubernetes', import.meta.url));
export const chart = `${folder}/chart`;

/** The files of `examples/` that stand beside one another: a cluster, and services elsewhere. */
export const examples = [
  ['cpu'],
  ['gke-spot', 'temporal-cloud'],
  ['eks-spot', 'temporal-cloud'],
  ['aks-spot', 'temporal-cloud'],
] as const;

/** That of the schemas. A Helm that is built from its module knows no other than 1.20 by itself. */
export const kubeVersion = ['--kube-version', '1.34.0'];

/** What every installation has to say for itself. */
const own = ['images.repository=registry.example.org/siglip2-runner'];

export interface EnvironmentVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string; readonly key: string } };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly EnvironmentVariable[];
  readonly resources: Readonly<Record<'requests' | 'limits', Readonly<Record<string, string | number>>>>;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly containers: readonly Container[];
    readonly volumes: readonly Readonly<Record<string, unknown>>[];
    readonly terminationGracePeriodSeconds: number;
    readonly automountServiceAccountToken: boolean;
  };
}

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  /** Each kind has some of these. */
  readonly spec: {
    readonly replicas: number;
    readonly template: PodTemplate;
    /** Of a Service the labels themselves. */
    readonly selector: Selector;
    readonly maxUnavailable: number;
    readonly rollout: object;
    readonly scalingStrategy: object;
    readonly triggers: readonly object[];
    readonly jobTargetRef: {
      readonly template: PodTemplate;
      readonly podFailurePolicy: object;
      readonly backoffLimit: number;
    };
    readonly podSelector: Selector;
    readonly policyTypes: readonly string[];
    readonly ingress: readonly object[];
    readonly egress: readonly { readonly ports: readonly { readonly port: number }[] }[];
  };
}

interface Selector {
  readonly matchLabels: Readonly<Record<string, string>>;
}

/** What Helm makes of the chart, as YAML. Rejects with what Helm says. */
export async function render(helm: string, values: readonly string[], set: readonly string[] = []): Promise<string> {
  const files = values.flatMap((name) => ['--values', `${folder}/examples/${name}.yaml`]);
  const settings = [...own, ...set].flatMap((one) => ['--set', one]);
  const named = ['template', 'trial', chart, '--namespace', 'siglip2', ...kubeVersion];
  const { stdout } = await run(helm, [...named, ...files, ...settings]);
  return stdout;
}

/** The same as objects. */
export const objectsOf = (text: string): KubernetesObject[] =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((object) => object !== null);

/** The pods that an object will make, where it makes any. */
export const podOf = ({ kind, spec }: KubernetesObject): PodTemplate | null =>
  kind === 'Deployment' ? spec.template : kind === 'ScaledJob' ? spec.jobTargetRef.template : null;
