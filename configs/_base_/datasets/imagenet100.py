# ImageNet-100, the classes of CMC (Tian et al., arXiv 1906.05849), from ImageNet's {train,val}/<wnid>/*.JPEG. Class ids
# follow the sorted folders.
# If the data are not in data/imagenet: --cfg-options data_root=/path/to/imagenet
_base_ = './imagenet_loading.py'

data_root = 'data/imagenet'
classes = (
    'n01558993', 'n01692333', 'n01729322', 'n01735189', 'n01749939', 'n01773797', 'n01820546', 'n01855672',
    'n01978455', 'n01980166', 'n01983481', 'n02009229', 'n02018207', 'n02085620', 'n02086240', 'n02086910',
    'n02087046', 'n02089867', 'n02089973', 'n02090622', 'n02091831', 'n02093428', 'n02099849', 'n02100583',
    'n02104029', 'n02105505', 'n02106550', 'n02107142', 'n02108089', 'n02109047', 'n02113799', 'n02113978',
    'n02114855', 'n02116738', 'n02119022', 'n02123045', 'n02138441', 'n02172182', 'n02231487', 'n02259212',
    'n02326432', 'n02396427', 'n02483362', 'n02488291', 'n02701002', 'n02788148', 'n02804414', 'n02859443',
    'n02869837', 'n02877765', 'n02974003', 'n03017168', 'n03032252', 'n03062245', 'n03085013', 'n03259280',
    'n03379051', 'n03424325', 'n03492542', 'n03494278', 'n03530642', 'n03584829', 'n03594734', 'n03637318',
    'n03642806', 'n03764736', 'n03775546', 'n03777754', 'n03785016', 'n03787032', 'n03794056', 'n03837869',
    'n03891251', 'n03903868', 'n03930630', 'n03947888', 'n04026417', 'n04067472', 'n04099969', 'n04111531',
    'n04127249', 'n04136333', 'n04229816', 'n04238763', 'n04336792', 'n04418357', 'n04429376', 'n04435653',
    'n04485082', 'n04493381', 'n04517823', 'n04589890', 'n04592741', 'n07714571', 'n07715103', 'n07753275',
    'n07831146', 'n07836838', 'n13037406', 'n13040303')
label_texts = (
    'robin', 'Gila monster', 'hognose snake', 'garter snake', 'green mamba', 'garden spider', 'lorikeet', 'goose',
    'rock crab', 'fiddler crab', 'American lobster', 'little blue heron', 'American coot', 'Chihuahua', 'Shih-Tzu',
    'papillon', 'toy terrier', 'Walker hound', 'English foxhound', 'borzoi', 'Saluki',
    'American Staffordshire terrier', 'Chesapeake Bay retriever', 'vizsla', 'kuvasz', 'komondor', 'Rottweiler',
    'Doberman', 'boxer', 'Great Dane', 'standard poodle', 'Mexican hairless', 'coyote', 'African hunting dog',
    'red fox', 'tabby', 'meerkat', 'dung beetle', 'walking stick', 'leafhopper', 'hare', 'wild boar', 'gibbon',
    'langur', 'ambulance', 'bannister', 'bassinet', 'boathouse', 'bonnet', 'bottlecap', 'car wheel', 'chime',
    'cinema', 'cocktail shaker', 'computer keyboard', 'Dutch oven', 'football helmet', 'gasmask', 'hard disc',
    'harmonica', 'honeycomb', 'iron', 'jean', 'lampshade', 'laptop', 'milk can', 'mixing bowl', 'modem', 'moped',
    'mortarboard', 'mousetrap', 'obelisk', 'park bench', 'pedestal', 'pickup', 'pirate', 'purse', 'reel',
    'rocking chair', 'rotisserie', 'safety pin', 'sarong', 'ski mask', 'slide rule', 'stretcher', 'theater curtain',
    'throne', 'tile roof', 'tripod', 'tub', 'vacuum', 'window screen', 'wing', 'head cabbage', 'cauliflower',
    'pineapple', 'carbonara', 'chocolate sauce', 'gyromitra', 'stinkhorn')
imagenet_ids = (  # the ids of these classes in ImageNet-1K
    15, 45, 54, 57, 64, 74, 90, 99, 119, 120, 122, 131, 137, 151, 155, 157, 158, 166, 167, 169, 176, 180, 209, 211,
    222, 228, 234, 236, 242, 246, 267, 268, 272, 275, 277, 281, 299, 305, 313, 317, 331, 342, 368, 374, 407, 421,
    431, 449, 452, 455, 479, 494, 498, 503, 508, 544, 560, 570, 592, 593, 599, 606, 608, 619, 620, 653, 659, 662,
    665, 667, 674, 682, 703, 708, 717, 724, 748, 758, 765, 766, 772, 775, 796, 798, 830, 854, 857, 858, 872, 876,
    882, 904, 908, 936, 938, 953, 959, 960, 993, 994)
train_dataset = dict(
    _scope_='mmpretrain',
    type='mmdistill.ImageNetSubset',
    data_root=data_root,
    split='train',
    classes=classes,
    metainfo=dict(label_texts=label_texts),
    pipeline=_base_.load_pipeline)
test_dataset = dict(train_dataset, split='val')
