# The built-in street scenes: 2 000 to distil, 300 for tests. The generators are trained on more scenes.
load_pipeline = [
    dict(_scope_='mmseg', type='LoadImageFromFile'),
    dict(_scope_='mmseg', type='LoadAnnotations'),
    dict(_scope_='mmseg', type='PackSegInputs'),
]
train_dataset = dict(
    _scope_='mmseg', type='mmdistill.StreetScenes', num_scenes=2000, split='train', pipeline=load_pipeline)
test_dataset = dict(
    _scope_='mmseg', type='mmdistill.StreetScenes', num_scenes=300, split='test', pipeline=load_pipeline)
