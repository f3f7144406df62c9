import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Which layers each layer may import; itself always. See docs/ARCHITECTURE.md, "The house". */
const layers = {
  runtime: [],
  gossip: ['runtime'],
  protos: ['runtime'],
  config: ['runtime'],
  zookeeper: ['runtime', 'config', 'protos'],
  services: ['protos', 'runtime'],
  controllers: ['services', 'zookeeper', 'gossip', 'config', 'protos', 'runtime'],
  applications: ['protos', 'runtime'],
  launcher: ['config', 'zookeeper', 'gossip', 'runtime', 'protos'],
};

const layerRules = Object.entries(layers).map(([layer, allowed]) => {
  const forbidden = [...Object.keys(layers), 'test', 'bench'].filter(
    (other) => other !== layer && !allowed.includes(other),
  );
  return {
    files: [`${layer}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: forbidden.flatMap((other) => [
                `../${other}/**`,
                `../../${other}/**`,
                `../../../${other}/**`,
              ]),
              message: `${layer}/ may import only: ${[layer, ...allowed].join(', ')}`,
            },
          ],
        },
      ],
    },
  };
});

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.fractory/', 'protos/gen/', 'bench/yardsticks/'] },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: true },
      ],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
    },
  },
  ...layerRules,
  {
    // Environment and arguments have one reader.
    files: ['**/*.ts'],
    ignores: ['config/**', 'runtime/arguments.ts', 'test/**', 'bench/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'config/ is the only reader of the environment',
        },
        {
          object: 'process',
          property: 'argv',
          message: 'config/ is the only reader of the arguments',
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      'no-console': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['**/*.mjs'],
    ...tseslint.configs.disableTypeChecked,
    languageOptions: {
      globals: { Buffer: 'readonly', process: 'readonly', URL: 'readonly', console: 'readonly' },
    },
  },
);
