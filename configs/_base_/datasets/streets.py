# The built-in street scenes: 2 000 to distil, 300 to test on. Other splits of the same generator train the generators.
_streets = dict(type='StreetScenes', _scope_='mmdistill', size=64)
load_pipeline = [
    dict(_scope_='mmseg', type='LoadImageFromFile'),
    dict(_scope_='mmseg', type='LoadAnnotations'),
    dict(_scope_='mmseg', type='PackSegInputs'),
]
train_dataset = dict(num_scenes=2000, split='train', pipeline=load_pipeline, **_streets)
test_dataset = dict(num_scenes=300, split='test', pipeline=load_pipeline, **_streets)
