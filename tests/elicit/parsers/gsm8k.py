"""Short examples of GSM8K (github.com/openai/grade-school-math, MIT licence): right solutions, and models' own."""

SOLUTIONS = [
    (
        "He collected 4+3+2+2 eggs for a total of <<4+3+2+2=11>>11 eggs.\n"
        "He dropped 2 eggs so 11-2 = <<11-2=9>>9 eggs left\n"
        "#### 9",
        "9",
    ),
    (
        "Dennis had 10/2=<<10/2=5>>5 rocks left after the fish ate them.\n"
        "He made the fish spit two out, which left Dennis with 5+2=<<5+2=7>>7 rocks.\n"
        "#### 7",
        "7",
    ),
    (
        "The drink is 2+1+3=<<2+1+3=6>>6 parts\n"
        "The drink is 2/6=1/3 coke\n"
        "So the drink is 6/(1/3)=<<6/(1/3)=18>>18 ounces\n"
        "#### 18",
        "18",
    ),
    (
        "He buys 2*20=<<2*20=40>>40 toy cars\nSo the total number of toys is 20+40=<<20+40=60>>60\n#### 60",
        "60",
    ),
    (
        "Each squirrel now has 575/5 = <<575/5=115>>115 acorns.\n"
        "Each squirrel still needs to collect another 130 - 115 = <<130-115=15>>15 acorns.\n"
        "#### 15",
        "15",
    ),
    (
        "We calculate first the discount: 80 * 45 / 100 = $<<80*45/100=36>>36\n"
        "So, the discounted subscription amounts to 80 – 36 = $<<80-36=44>>44\n"
        "#### 44",
        "44",
    ),
    (
        "From all the computers, 100% - 40% - 20% = 40% got fixed right away.\n"
        "So John was able to fix 40/100 * 20 = <<40/100*20=8>>8 computers.\n"
        "#### 8",
        "8",
    ),
    (
        "After Smith gave him $200, Randy had 2000+1200=<<2000+1200=3200>>3200 dollars.\n"
        "Randy had 3200-200=<<3200-200=3000>>3000 dollars at first.\n"
        "#### 3000",
        "3000",
    ),
    (
        "They need to buy 180/30=<<180/30=6>>6 boxes\nSo the cost is 6*40=$<<6*40=240>>240\n#### 240",
        "240",
    ),
    (
        "Madeline's brother has $48/2 = $<<48/2=24>>24.\nTogether, they have $48 + $24 = $<<48+24=72>>72.\n#### 72",
        "72",
    ),
    (
        "Amanda spent 2 tapes * $9/tape + $25 = $<<2*9+25=43>>43.\nAmanda has $50 - $43 = $<<50-43=7>>7 left.\n#### 7",
        "7",
    ),
    (
        "Every bus has a capacity of: 120 * 1/6 = <<120*1/6=20>>20 people.\n"
        "Combined, both the buses have a capacity of 20 * 2= <<20*2=40>>40 people.\n"
        "#### 40",
        "40",
    ),
    (
        "Three less than 5 is 5-3=<<5-3=2>>2.\n"
        "Since one ton is 2000 pounds, three tons is 2000*3=<<6000=6000>>6000 pounds.\n"
        "Thus, in 6000 pounds, he can make 6000/2=<<6000/2=3000>>3000 pillows.\n"
        "#### 3,000",
        "3,000",
    ),
    (
        "-36 + 13 + (-15) + (-10) = <<-36+13+-15+-10=-48>>-48 degrees Fahrenheit\n"
        "-48/4 = <<-48/4=-12>>-12 degrees Fahrenheit\n"
        "The average temperature was -12 degrees Fahrenheit.\n"
        "#### -12",
        "-12",
    ),
    (
        "They sold 400*.8=<<400*.8=320>>320 tickets each day\n"
        "So each day they made 320*30=$<<320*30=9600>>9600\n"
        "They did 2+1=<<2+1=3>>3 days\n"
        "So they made 9600*3=$<<9600*3=28800>>28,800\n"
        "#### 28,800",
        "28,800",
    ),
    (
        "The second laptop costs $500*3=$<<500*3=1500>>1500.\n"
        "Adam needs to spend $1500+$500=$<<1500+500=2000>>2000 for both.\n"
        "#### 2,000",
        "2,000",
    ),
    (
        "Molly rode for 16 – 13 = <<16-13=3>>3 years.\n"
        "She rode for 3 years x 365 days = <<3*365=1095>>1,095 days.\n"
        "She rode a total of 3 miles x 1,095 days = <<3*1095=3285>>3,285 miles.\n"
        "#### 3,285",
        "3,285",
    ),
    (
        "Half of the 50 seeds, or 50/2=<<50/2=25>>25 seeds germinated and grew.\n"
        "If each of the 25 plants produces 50 seeds, then a total of 25*50=<<25*50=1250>>1250 "
        "seeds would be produced.\n"
        "#### 1,250",
        "1,250",
    ),
]
"""A solution of the data set, and the answer after its mark."""

MODELS = [
    (
        "Edgar's brother eats 18/2=<<18/2=9.0>>9 pretzels.\n"
        "In a week, his brother eats 9*7=<<9*7=63>>63 pretzels\n"
        "A: 63",
        "His brother eats 9 pretzels a day because 18 / 2 = <<18/2=9>>9\n"
        "His brother eats 63 in a week because 9 x 7 = <<9*7=63>>63\n"
        "A: 63",
        True,
    ),
    (
        "Zack's locker is 24/2 = <<24/2=12.0>>12 cubic inches.\n"
        "Peter's locker is 12/4 = <<12/4=3.0>>3 cubic inches.\n"
        "A: 3",
        "Zack's locker is 24/2=<<24/2=12>>12 cubic inches.\nPeter's locker is 12/4=<<12/4=3>>3 cubic inches.\nA: 3",
        True,
    ),
    (
        "He runs 3*3=<<3*3=9>>9 sprints a week\nSo he runs 9*60=<<9*60=540>>540 meters a week\nA: 540",
        "He sprints 3*3=<<3*3=9>>9 times\nSo he runs 9*60=<<9*60=540>>540 meters\nA: 540",
        True,
    ),
    (
        "Harry slept 9 hours.\n"
        "James slept 2/3*9 = <<2/3*9=6.0>>6 hours.\n"
        "Harry slept 9-6 = <<9-6=3.0>>3 more hours than James.\n"
        "A: 3",
        "James slept 9 hours * 2/3 = <<9*2/3=6>>6 hours.\n"
        "So, Harry slept 9 - 6 = <<9-6=3>>3 hours more than James.\n"
        "A: 3",
        True,
    ),
    (
        "Dorothy has 12/3=<<12/3=4.0>>4.0 Facebook friends.\nJames has 4*12=<<4*12=48>>48 Facebook friends.\nA: 48",
        "Dorothy has 12 / 3 = <<12/3=4>>4 Facebook friends.\nJames has 4 * 4 = <<4*4=16>>16 Facebook friends.\nA: 16",
        False,
    ),
    (
        "Shelley has 27 − 12 = <<27-12=15>>15 paintings.\nKim has 15 − 8 = <<15-8=7>>7 paintings.\nA: 7",
        "Shelley has 27+12=<<27+12=39>>39 paintings.\nKim has 39-8=<<39-8=31>>31 paintings.\nA: 31",
        False,
    ),
    (
        "Gretchen has 70 + 30 = <<70+30=100>>100 gold coins.\n"
        "In total, Gretchen has 100 + 70 = <<100+70=170>>170 coins.\n"
        "A: 170",
        "Gretchen has 70-30=<<70-30=40>>40 silver coins.\nShe has 70+40=<<70+40=110>>110 coins.\nA: 110",
        False,
    ),
    (
        "Bailey received a total of $5/week x 8 weeks = $<<5*8=40>>40.\n"
        "Therefore, Bailey started with $100 + $40 = $<<100+40=140>>140.\n"
        "A: 140",
        "In 8 weeks, Bailey receives $5 * 8 = $<<5*8=40>>40 in allowance\n"
        "Bailey started with $100 - $40 = $<<100-40=60>>60\n"
        "A: 60",
        False,
    ),
]
"""What a model wrote, the solution of the data set, and whether they agree, as the data set says."""
