import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { pins } from '../../infra/setup/pins.ts';
import { metricsAddress } from '../../src/runtime/environment.ts';
import { variables } from '../../src/runtime/variables.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'infra/compose');
const text = (file: string) => readFileSync(join(folder, file), 'utf8');
const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version as string;

interface ComposeService {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly target?: string };
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: object;
  readonly stop_grace_period?: string;
  readonly read_only?: boolean;
  readonly restart?: string;
}

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, object>>;
}

const read = (file: string): Compose => parse(text(file), { merge: true });
const { services, volumes } = read('compose.yaml');
const entries = Object.entries(services);
/** Those that are made of our own Dockerfile. */
const own = entries.filter(([, { image }]) => image.startsWith('siglip2-runner:'));

describe('infra/compose', () => {
  it('is what the Compose Specification allows', () => {
    const linter = dirname(createRequire(import.meta.url).resolve('dclint/package.json'));
    const { $schema: _, ...schema } = JSON.parse(readFileSync(join(linter, 'schemas/compose.schema.json'), 'utf8'));
    const allowed = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(schema);
    for (const file of ['compose.yaml', 'compose.cuda.yaml'])
      expect([file, allowed(read(file)), allowed.errors]).toEqual([file, true, null]);
    const wrong = { services: { s3: { image: 'versitygw', port: ['7480:7480'] } } };
    expect(allowed(wrong)).toBe(false);
  });

  it('opens no port beyond loopback', () => {
    const ports = entries.flatMap(([, service]) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(5);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    expect(new Set(ports.map((port) => port.split(':')[1])).size).toBe(ports.length);
    // Where commands look for services that nobody named.
    expect(services.temporal!.ports).toEqual(['127.0.0.1:7233:7233']);
    expect(text('compose.yaml')).not.toMatch(/network_mode: host|privileged: true|docker\.sock/);
  });

  it('names every image by a version, and those of our parts by ours', () => {
    for (const [name, { image }] of entries) expect(image, name).toMatch(/^[a-z0-9/-]+:v?\d+\.\d+(\.\d+)?(-[\w.-]+)?$/);
    for (const [, { image }] of own) expect(image).toMatch(new RegExp(`^siglip2-runner:${version}-`));
    expect(services.s3!.image).toBe(`versity/versitygw:v${pins.versitygw.version}`);
    for (const [name, { image, build }] of own)
      expect([name, image]).toEqual([name, `siglip2-runner:${version}-${build!.target}`]);
    const { image, build } = read('compose.cuda.yaml').services.worker!;
    expect(image).toBe(`siglip2-runner:${version}-${build!.target}`);
  });

  it('sets variables that the code reads, and asks for each secret, which .env.example names', () => {
    for (const [name, { environment }] of own)
      for (const key of Object.keys(environment!)) expect(Object.keys(variables), name).toContain(key);
    const asked = [...text('compose.yaml').matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name!);
    const named = [...text('.env.example').matchAll(/^(\w+)=$/gm)].map(([, name]) => name!);
    expect([...new Set(asked)].sort()).toEqual(named.sort());
    for (const [name, { environment = {} }] of entries)
      for (const [key, value] of Object.entries(environment))
        if (/PASSWORD|PWD|SECRET|ACCESS_KEY/.test(key)) expect(value, name).toMatch(/^\$\{\w+:\?[^}]+\}$/);
  });

  it('waits for what it needs, and only for services that can say how they are', () => {
    const dockerfile = readFileSync(join(root, 'infra/images/Dockerfile'), 'utf8');
    for (const [name, { depends_on: needs = {} }] of entries)
      for (const [needed, { condition }] of Object.entries(needs)) {
        const service = services[needed];
        expect(service, `${name} needs ${needed}`).toBeDefined();
        if (condition === 'service_healthy')
          expect(service!.healthcheck ?? dockerfile.includes('HEALTHCHECK'), needed).toBeTruthy();
        // Whoever ends must not be started again.
        if (condition === 'service_completed_successfully') expect(service!.restart, needed).toBeUndefined();
      }
  });

  it('gives a worker longer to end than it takes, a read-only root, and volumes that are there', () => {
    const grace = Number(/^\d+/.exec(variables.SIGLIP2_GRACE.unset)![0]);
    for (const name of ['light', 'worker'])
      expect(Number.parseInt(services[name]!.stop_grace_period!, 10)).toBeGreaterThan(grace);
    for (const [name, { read_only }] of own) expect(read_only, name).toBe(true);
    for (const [name, service] of entries)
      for (const volume of service.volumes ?? []) {
        const [source = ''] = volume.split(':');
        if (source.startsWith('.')) expect(existsSync(join(folder, source)), `${name}: ${source}`).toBe(true);
        else expect(Object.keys(volumes), name).toContain(source);
      }
  });

  it('has Prometheus look where workers show their figures, and Grafana where Prometheus is', () => {
    const port = Number(metricsAddress(services.worker!.environment)!.split(':')[1]);
    const { scrape_configs: jobs, rule_files: rules } = parse(text('prometheus.yml'));
    const [workers, temporal] = jobs;
    expect(workers.dns_sd_configs).toEqual([{ names: ['light', 'worker'], type: 'A', port }]);
    expect(temporal.static_configs[0].targets).toEqual([
      `temporal:${services.temporal!.environment!.PROMETHEUS_ENDPOINT!.split(':')[1]}`,
    ]);
    expect(services.prometheus!.volumes).toContain('../dashboards:/etc/siglip2:ro');
    expect(rules.every((file: string) => file.startsWith('/etc/siglip2/'))).toBe(true);
    const [source] = parse(text('grafana/datasources/prometheus.yaml')).datasources;
    expect(source).toMatchObject({ uid: 'prometheus', url: 'http://prometheus:9090' });
    const [provider] = parse(text('grafana/dashboards/siglip2.yaml')).providers;
    expect(services.grafana!.volumes).toContain(`../dashboards:${provider.options.path}:ro`);
  });
});
