"""Packaging of mmdistill. No mm* package is a core dependency: two stacks share the import names (docs/install.md)."""
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def version() -> str:
    """The version, read without importing the package (its dependencies may not be there yet)."""
    values = {}
    exec((ROOT / 'mmdistill/version.py').read_text(), values)
    return values['__version__']


def requirements(name: str) -> list:
    """The lines of ``requirements/<name>.txt``."""
    lines = (ROOT / f'requirements/{name}.txt').read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith('#')]


# mmdistill/.mim holds relative links to tools, configs and model-index.yml, as OpenMMLab's packages have them: a wheel
# carries the real files, an editable install follows the links.
PACKAGE_DATA = [
    'py.typed',
    'imagenet.json',
    'evaluation/report/templates/*',
    '.mim/model-index.yml',
    '.mim/tools/**/*.py',
    '.mim/tools/**/*.sh',
    '.mim/configs/**/*.py',
    '.mim/configs/**/*.yml',
    '.mim/configs/**/*.md',
    'toy/weights/**/*.safetensors',
    'toy/weights/**/*.json',
]

setup(
    name='mmdistill',
    version=version(),
    description='Dataset distillation with diffusion models, as an OpenMMLab plugin',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    author='The mmdistill contributors',
    license='Apache-2.0',
    keywords='dataset distillation, diffusion, semantic segmentation, OpenMMLab',
    # Project URLs and a licence classifier are absent on purpose: there is no public address yet, and `license` is an
    # SPDX expression, which replaces the classifier.
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Environment :: GPU :: NVIDIA CUDA',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Processing',
        'Typing :: Typed',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['mmdistill', 'mmdistill.*']),
    package_data={'mmdistill': PACKAGE_DATA},
    install_requires=requirements('core'),
    extras_require={name: requirements(name)
                    for name in ('onedl', 'openmmlab', 'benchmarks', 'tests', 'docs', 'dev')},
    entry_points=dict(console_scripts=['mmdistill = mmdistill.cli:main']),
    zip_safe=False,
)
