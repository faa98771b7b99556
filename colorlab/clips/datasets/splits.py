"""The official lists of clips. DAVIS 2017's val and test-dev are different sets of 30; papers call both
"DAVIS test"."""

from __future__ import annotations

DAVIS_TRAIN = tuple("""
bear bmx-bumps boat boxing-fisheye breakdance-flare bus car-turn cat-girl classic-car color-run crossing
dance-jump dancing disc-jockey dog-agility dog-gooses dogs-scale drift-turn drone elephant flamingo hike
hockey horsejump-low kid-football kite-walk koala lady-running lindy-hop longboard lucia mallard-fly
mallard-water miami-surf motocross-bumps motorbike night-race paragliding planes-water rallye rhino
rollerblade schoolgirls scooter-board scooter-gray sheep skate-park snowboard soccerball stroller stunt surf
swing tennis tractor-sand train tuk-tuk upside-down varanus-cage walking
""".split())

# ColorMNet's test set, and Lai et al.'s
DAVIS_VAL = tuple("""
bike-packing blackswan bmx-trees breakdance camel car-roundabout car-shadow cows dance-twirl dog dogs-jump
drift-chicane drift-straight goat gold-fish horsejump-high india judo kite-surf lab-coat libby loading
mbike-trick motocross-jump paragliding-launch parkour pigs scooter-black shooting soapbox
""".split())

# CAVC's test set, and by its figures LSTVC's
DAVIS_TEST_DEV = tuple("""
aerobatics car-race carousel cats-car chamaleon deer giant-slalom girl-dog golf guitar-violin gym helicopter
horsejump-stick hoverboard lock man-bike monkeys-trees mtb-race orchid people-sunset planes-crossing
rollercoaster salsa seasnake skate-jump slackline subway tandem tennis-vest tractor
""".split())

VIDEVO_TRAIN = tuple("""
AircraftLanding AircraftTakingOff2 BeachByDrone BirdCloseup Blossom BrowsingPhone Cat Chickens
CloudsTimelapse Clownfishes CoupleWalking CranerCurves Cruise Deers DieselTrain DogChewingTennis Dolphin
DrivingCar Elephant FatherAndChild1 FlyingKite FlyingOverForest FlyOverHouses Football Freeway1
FrozenLeaves1 FrozenLeaves2 GannetFlying2 Gherkin GirlOnPhone GirlOnShoulder GreenTurtle HandOverGrass
IceSkating IndonesianFarmland ItalianStreet Kittens LadyOverlooking Lemurs LondonDocklands
LondonNightTraffic Marathon Monkeys MotherAndSon Motocross MotorTricks NightStreet Pigeons Promenade
RicePaddies RoadAndCars SanFrancisco Setangibeach SkateboardingInRoad Skateboarding SlamDunk SpaceShuttle
Squirrel Sunflowers SurferRunning Swans SwimmerEmerging TajMahal TimeSquare Toddler Tombstone TouristBoat
TrainStation USAFlagFlying UsingSmartphone VRHeadset WalkingInSurf Wallride WatchingWaterfall Waterfall1
WestminsterBridge WindTurbines WomanUsingPhone WomanWorking YogaHut1
""".split())

VIDEVO_TEST = tuple("""
AircraftTakingOff1 CoupleRidingMotorbike Cycling Ducks FarmingLandscape FatherAndChild2 Festival Freeway2
Koala Madagascar MenRidingMotorbike PalmTrees PoliceCar SilverCat SkateboarderTableJump Surfing
TimeSquareTraffic Vineyard Waterfall2 YogaHut2
""".split())

# Frames of each clip 001 to 015: the challenge's scorer compares with stored statistics of exactly these.
NVCC2023_VAL = dict(zip([f"{number:03d}" for number in range(1, 16)],
                        (179, 300, 250, 300, 300, 240, 300, 120, 300, 300, 250, 300, 300, 600, 300)))
